CREATE TABLE `t` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `a` text,
  `b` int NOT NULL,
  PRIMARY KEY (`id`),
  FULLTEXT KEY `ft` (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
