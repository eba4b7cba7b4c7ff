CREATE TABLE `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` (id INT NOT NULL PRIMARY KEY, n INT NOT NULL, s VARCHAR(40));
