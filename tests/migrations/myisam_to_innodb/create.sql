-- writes would wait for the server's copy
CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL, s VARCHAR(40)) ENGINE=MyISAM;
