-- Works with programs from 0.2.0 on.
--
-- Why a job could not be sent when it was its turn: its topic does not exist, or does not take the message.
ALTER TABLE task_message ADD COLUMN not_sent_reason text;
