CREATE TABLE `t` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `p` bigint(20) NOT NULL,
  `q` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `i_p` (`p`),
  CONSTRAINT `fk_p` FOREIGN KEY (`p`) REFERENCES `parent` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
