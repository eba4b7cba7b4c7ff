INSERT INTO t VALUES ('abcdefgh', 1);
