INSERT INTO t VALUES ('a', 0, 'x');
INSERT INTO t VALUES (_latin1 x'e9', 1, 'x');
INSERT INTO t VALUES (_latin1 x'80', 2, 'x');
