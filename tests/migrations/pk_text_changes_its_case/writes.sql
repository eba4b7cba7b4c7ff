UPDATE t SET k = UPPER(k), n = n + 1;
UPDATE t SET k = LOWER(k);
UPDATE t SET k = CONCAT('x', k) WHERE k = 'b';
UPDATE t SET k = 'b' WHERE k = 'xb';
