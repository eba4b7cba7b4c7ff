INSERT INTO t VALUES (x'', 0, 'x');
INSERT INTO t VALUES (x'00', 1, 'x');
INSERT INTO t VALUES (x'0000', 2, 'x');
INSERT INTO t VALUES (x'16', 3, 'x');
INSERT INTO t VALUES ('0x16', 4, 'x');
INSERT INTO t VALUES (x'ff5c27', 5, 'x');
