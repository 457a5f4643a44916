CREATE TABLE terrace_log(x TEXT);
