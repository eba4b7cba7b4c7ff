CREATE TABLE `t` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `a` text DEFAULT NULL,
  `b` int(11) NOT NULL,
  PRIMARY KEY (`id`),
  FULLTEXT KEY `ft` (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
