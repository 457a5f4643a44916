INSERT INTO relief_case VALUES(1);
