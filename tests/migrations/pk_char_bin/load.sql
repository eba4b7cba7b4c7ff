INSERT INTO t VALUES ('a', 0, 'x');
INSERT INTO t VALUES ('A', 1, 'x');
INSERT INTO t VALUES ('', 2, 'x');
