INSERT INTO t VALUES ('a', 0, 'x');
INSERT INTO t VALUES ('b ', 1, 'x');
INSERT INTO t VALUES ('', 2, 'x');
INSERT INTO t VALUES ('ö', 3, 'x');
INSERT INTO t VALUES ('😀', 4, 'x');
INSERT INTO t VALUES ('0xab', 5, 'x');
INSERT INTO t VALUES ('a\'b', 6, 'x');
