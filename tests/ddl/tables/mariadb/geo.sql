CREATE TABLE `t` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `g` point NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
