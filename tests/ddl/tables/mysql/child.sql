CREATE TABLE `t` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `p` bigint NOT NULL,
  `q` bigint DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `i_p` (`p`),
  CONSTRAINT `fk_p` FOREIGN KEY (`p`) REFERENCES `parent` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
