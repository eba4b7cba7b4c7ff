INSERT INTO `100%` (id, n, s) VALUES (1000 + {n}, {n} % 97, CONCAT('s', {n}));
UPDATE `100%` SET n = n + 1 WHERE id = 1 + {n} % 40;
UPDATE `100%` SET s = CONCAT('u', {n}) WHERE id = 1 + ({n} * 5) % 40;
DELETE FROM `100%` WHERE id = 1 + ({n} * 11) % 40;
INSERT INTO `100%` (id, n, s) VALUES (1 + ({n} * 11) % 40, 0, 'again') ON DUPLICATE KEY UPDATE n = n + 10;
UPDATE `100%` SET id = 100000 + {n} WHERE id = 1 + ({n} * 13) % 40;
