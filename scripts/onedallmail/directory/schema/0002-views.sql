-- What the mail programs may see: Postfix no hashes at all, Dovecot only hashes of accounts that may log in.

CREATE SCHEMA postfix;
CREATE SCHEMA dovecot;

CREATE VIEW postfix.domain AS
SELECT name AS domain FROM directory.domains;

-- A disabled mailbox still receives: disabling must not lose mail.
CREATE VIEW postfix.mailbox AS
SELECT address, placement_group FROM directory.mailboxes;

CREATE VIEW postfix.alias AS
SELECT address, destination FROM directory.aliases;

CREATE VIEW postfix.sender_login AS
SELECT address AS sender, address AS login FROM directory.mailboxes WHERE enabled
UNION
SELECT a.address, m.address FROM directory.aliases AS a JOIN directory.mailboxes AS m ON m.address = a.destination
WHERE m.enabled;

CREATE VIEW dovecot.login AS
SELECT address AS username, password_hash AS password, placement_group FROM directory.mailboxes WHERE enabled;

CREATE VIEW dovecot.mailbox AS
SELECT address AS username, placement_group, quota_bytes FROM directory.mailboxes;

GRANT USAGE ON SCHEMA postfix TO mail_read;
GRANT SELECT ON ALL TABLES IN SCHEMA postfix TO mail_read;
GRANT USAGE ON SCHEMA dovecot TO auth_read;
GRANT SELECT ON ALL TABLES IN SCHEMA dovecot TO auth_read;
