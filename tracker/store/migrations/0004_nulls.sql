-- Works with programs from 0.2.0 on.
--
-- A name, description, external data or label value that was submitted as null is stored as null. Programs that do not
-- know this migration store '' for it, and show a null as they show JSON's.
ALTER TABLE job
    ALTER name DROP NOT NULL, ALTER description DROP NOT NULL, ALTER external_data DROP NOT NULL;
ALTER TABLE label ALTER label_value DROP NOT NULL;
