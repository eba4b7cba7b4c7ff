INSERT INTO `Größe der Welt` (id, n, s) VALUES (1000 + {n}, {n} % 97, CONCAT('s', {n}));
UPDATE `Größe der Welt` SET n = n + 1 WHERE id = 1 + {n} % 40;
UPDATE `Größe der Welt` SET s = CONCAT('u', {n}) WHERE id = 1 + ({n} * 5) % 40;
DELETE FROM `Größe der Welt` WHERE id = 1 + ({n} * 11) % 40;
INSERT INTO `Größe der Welt` (id, n, s) VALUES (1 + ({n} * 11) % 40, 0, 'again') ON DUPLICATE KEY UPDATE n = n + 10;
UPDATE `Größe der Welt` SET id = 100000 + {n} WHERE id = 1 + ({n} * 13) % 40;
