alter /* why */ table `t`
  modify column `n` bigint not null -- said
;
