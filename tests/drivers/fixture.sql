-- What every driver's checks read: a table of all types, rows to stream, procedures with several results.
SET SESSION lock_wait_timeout = 20;
DROP TABLE IF EXISTS all_types, numbers, notes;
DROP PROCEDURE IF EXISTS two_results;
DROP PROCEDURE IF EXISTS fails_midway;
DROP PROCEDURE IF EXISTS doubles;

CREATE TABLE all_types (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    c_tiny TINYINT, c_tiny_u TINYINT UNSIGNED, c_bool BOOLEAN,
    c_small SMALLINT, c_medium MEDIUMINT, c_medium_u MEDIUMINT UNSIGNED,
    c_int INT, c_big BIGINT, c_big_u BIGINT UNSIGNED,
    c_float FLOAT, c_double DOUBLE, c_decimal DECIMAL(65,30), c_numeric DECIMAL(10,0),
    c_bit1 BIT(1), c_bit20 BIT(20),
    c_date DATE, c_datetime DATETIME, c_datetime6 DATETIME(6), c_timestamp3 TIMESTAMP(3) NULL,
    c_time TIME, c_time6 TIME(6), c_year YEAR,
    c_char CHAR(10), c_varchar VARCHAR(200), c_binary BINARY(8), c_varbinary VARBINARY(300),
    c_tinytext TINYTEXT, c_text TEXT, c_mediumtext MEDIUMTEXT, c_longtext LONGTEXT,
    c_tinyblob TINYBLOB, c_blob BLOB, c_mediumblob MEDIUMBLOB, c_longblob LONGBLOB,
    c_enum ENUM('small','größer','😀'), c_set SET('a','b','c'), c_json JSON,
    c_point POINT, c_latin1 VARCHAR(20) CHARACTER SET latin1,
    `größe 日本` VARCHAR(20) NOT NULL DEFAULT 'ü',
    UNIQUE KEY by_int (c_int), KEY by_varchar (c_varchar)
) DEFAULT CHARSET = utf8mb4;

INSERT INTO all_types VALUES (
    1, -128, 255, TRUE, -32768, -8388608, 16777215, -2147483648, -9223372036854775808, 18446744073709551615,
    1.5, 0.1, 12345678901234567890123456789012345.123456789012345678901234567891, 9999999999,
    b'1', b'10101010101010101010',
    '1000-01-01', '2024-02-29 23:59:59', '9999-12-31 23:59:59.999999', '2024-02-29 12:34:56.789',
    '-838:59:59', '-00:00:00.000001', 2155,
    'char', 'naïve 日本語 🦀', X'0001020304050607', X'000D0A1A275C22FF',
    'tiny', 'text', 'medium', 'long', X'00', X'FF00FE', X'80', X'C328',
    'größer', 'a,c', '{"k": [1, 2.5, null, true, "ü🦀"], "deep": {"quote": "it''s"}}',
    ST_GeomFromText('POINT(1 2)'), 'Größe', 'größer');
INSERT INTO all_types (id) VALUES (2);
INSERT INTO all_types VALUES (
    3, 127, 0, FALSE, 32767, 8388607, 0, 2147483647, 9223372036854775807, 0,
    -1.25e-5, -1.7976931348623157e308, -0.000000000000000000000000000001, -1,
    b'0', b'0',
    '9999-12-31', '1000-01-01 00:00:00', '2024-01-01 00:00:00.000001', '1970-01-01 00:00:01.001',
    '838:59:59', '00:00:00.5', 1901,
    '', '', X'', X'', '', '', '', '', X'', X'', X'', X'',
    'small', '', 'null', NULL, '', '');

CREATE TABLE numbers (n INT PRIMARY KEY, squared BIGINT NOT NULL, name VARCHAR(30) NOT NULL);
INSERT INTO numbers (n, squared, name)
    WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000)
    SELECT n, n * n, CONCAT('number ', n) FROM s;

CREATE TABLE notes (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100), body LONGBLOB, at TIMESTAMP(6) NULL,
    UNIQUE KEY by_name (name)
) DEFAULT CHARSET = utf8mb4;

DELIMITER //
CREATE PROCEDURE two_results(IN a INT)
BEGIN
    SELECT a AS first, 'one' AS name;
    SELECT n, name FROM numbers WHERE n <= a ORDER BY n;
END //
CREATE PROCEDURE fails_midway()
BEGIN
    SELECT 1 AS before_it;
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'stopped midway', MYSQL_ERRNO = 31001;
END //
CREATE PROCEDURE doubles(INOUT x INT, OUT y VARCHAR(20))
BEGIN
    SET x = x * 2;
    SET y = CONCAT('was ', x / 2);
    SELECT x AS doubled;
END //
DELIMITER ;
