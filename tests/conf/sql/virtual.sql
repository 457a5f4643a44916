CREATE VIRTUAL TABLE relief_case USING fts5(case_no);
