-- Roles and database of the directory; run by a superuser on the leader, as often as one likes.
-- Everybody logs in by peer or certificate: no role has a password. A notice 'created' tells of each change.

DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['directory_owner', 'directory_admin', 'mail_read', 'auth_read'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      EXECUTE format('CREATE ROLE %I LOGIN', role_name);
      RAISE NOTICE 'created role %', role_name;
    END IF;
  END LOOP;
END
$$;

ALTER ROLE directory_admin SET search_path = directory;
ALTER ROLE directory_owner SET search_path = directory;
ALTER ROLE mail_read SET search_path = postfix;
ALTER ROLE auth_read SET search_path = dovecot;
ALTER ROLE mail_read SET default_transaction_read_only = on;
ALTER ROLE auth_read SET default_transaction_read_only = on;
-- Statements of the administrator carry password hashes: a refused one must not be copied into the log.
ALTER ROLE directory_admin SET log_min_error_statement = 'panic';

SELECT 'CREATE DATABASE onedallmail OWNER directory_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'onedallmail')
\gexec

REVOKE ALL ON DATABASE onedallmail FROM PUBLIC;
GRANT CONNECT ON DATABASE onedallmail TO directory_admin, mail_read, auth_read;
\connect onedallmail
REVOKE ALL ON SCHEMA public FROM PUBLIC;
