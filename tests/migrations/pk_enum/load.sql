INSERT INTO t VALUES ('a', 0, 'x');
INSERT INTO t VALUES ('b', 1, 'x');
INSERT INTO t VALUES ('c', 2, 'x');
