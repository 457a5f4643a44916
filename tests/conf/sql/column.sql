ALTER TABLE relief_case ADD COLUMN bank TEXT;
ALTER TABLE relief_case ADD bank_date TEXT NOT NULL DEFAULT '' CHECK (bank_date = '' OR date(bank_date) IS NOT NULL);
