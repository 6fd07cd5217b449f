-- Split delivery: addresses of our domains whose mailboxes are still on another mail system ("elsewhere").
-- There is one other system at a time; a domain that has a line in splits shares its addresses with it.

SET LOCAL search_path = directory, pg_catalog;

CREATE TABLE other_system (
  the_one boolean PRIMARY KEY DEFAULT true CHECK (the_one),
  host text NOT NULL CHECK (host ~ '^[a-z0-9.-]{4,253}$'),
  networks cidr[] NOT NULL CHECK (cardinality(networks) BETWEEN 1 AND 64),
  keys text[] NOT NULL DEFAULT '{}' CHECK (
    cardinality(keys) <= 8 AND array_to_string(keys, '|') ~ '^(([0-9A-F]{2}:){31}[0-9A-F]{2}(\||$))*$')
);
COMMENT ON COLUMN other_system.networks IS 'Addresses from which it sends, and nobody else.';
COMMENT ON COLUMN other_system.keys IS 'SHA-256 of its public keys (SubjectPublicKeyInfo); empty: a public authority vouches for its name.';

CREATE TABLE splits (
  domain domain_name PRIMARY KEY REFERENCES domains (name),
  unknown text NOT NULL DEFAULT 'refuse' CHECK (unknown IN ('refuse', 'elsewhere')),
  other_system boolean NOT NULL DEFAULT true REFERENCES other_system (the_one),
  created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN splits.unknown IS 'What happens with an address that nobody named: refused at once, or the other system decides.';

-- An address here may have a mailbox, too: it is being copied, and mail still goes to the other system.
CREATE TABLE elsewhere (
  local_part local_part NOT NULL,
  domain domain_name NOT NULL REFERENCES splits (domain),
  address mail_address NOT NULL UNIQUE GENERATED ALWAYS AS (local_part || '@' || domain) STORED,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (domain, local_part)
);

-- An alias is nothing else; a mailbox and an address elsewhere may be the same one for the time of a move.
CREATE OR REPLACE FUNCTION refuse_second_meaning() RETURNS trigger LANGUAGE plpgsql SET search_path = directory, pg_catalog AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(NEW.local_part || '@' || NEW.domain, 0));
  IF TG_TABLE_NAME IN ('mailboxes', 'elsewhere') AND EXISTS (
    SELECT FROM aliases a WHERE a.local_part = NEW.local_part AND a.domain = NEW.domain) THEN
    RAISE unique_violation USING MESSAGE = format('%s@%s is an alias', NEW.local_part, NEW.domain), CONSTRAINT = 'address_is_alias';
  ELSIF TG_TABLE_NAME = 'aliases' AND EXISTS (
    SELECT FROM mailboxes m WHERE m.local_part = NEW.local_part AND m.domain = NEW.domain) THEN
    RAISE unique_violation USING MESSAGE = format('%s@%s is a mailbox', NEW.local_part, NEW.domain), CONSTRAINT = 'address_is_mailbox';
  ELSIF TG_TABLE_NAME = 'aliases' AND EXISTS (
    SELECT FROM elsewhere e WHERE e.local_part = NEW.local_part AND e.domain = NEW.domain) THEN
    RAISE unique_violation USING
      MESSAGE = format('%s@%s lives elsewhere', NEW.local_part, NEW.domain), CONSTRAINT = 'address_is_elsewhere';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER one_meaning BEFORE INSERT OR UPDATE OF local_part, domain ON elsewhere
  FOR EACH ROW EXECUTE FUNCTION refuse_second_meaning();

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON other_system FOR EACH ROW EXECUTE FUNCTION write_audit();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON splits FOR EACH ROW EXECUTE FUNCTION write_audit();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON elsewhere FOR EACH ROW EXECUTE FUNCTION write_audit();
GRANT SELECT, INSERT, UPDATE, DELETE ON other_system, splits TO directory_admin;
GRANT SELECT, INSERT, DELETE ON elsewhere TO directory_admin;

-- Mailboxes that mail is delivered to here.
CREATE VIEW postfix.resident AS
SELECT address, placement_group FROM directory.mailboxes AS m
WHERE NOT EXISTS (SELECT FROM directory.elsewhere AS e WHERE e.address = m.address);

CREATE VIEW postfix.split AS
SELECT domain FROM directory.splits;

-- Postfix asks with whole addresses, with parts of them and with names of hosts; every key that is none of ours has no answer.
-- Returns the other system's name if an address (or the one that it is an extension of) lives there.
CREATE FUNCTION postfix.elsewhere(recipient text) RETURNS SETOF text
LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = directory, pg_catalog AS $$
  WITH asked AS (
    SELECT ARRAY[key, regexp_replace(key, '^([^+@]+)\+[^@]*@', '\1@')] AS addresses, substring(key FROM '^[^@]+@([^@]+)$') AS domain
    FROM lower(recipient) AS key)
  SELECT o.host FROM asked JOIN splits AS s ON s.domain = asked.domain CROSS JOIN other_system AS o
  WHERE EXISTS (SELECT FROM elsewhere AS e WHERE e.address = ANY (asked.addresses))
    OR s.unknown = 'elsewhere'
      AND NOT EXISTS (SELECT FROM mailboxes AS m WHERE m.address = ANY (asked.addresses))
      AND NOT EXISTS (SELECT FROM aliases AS a WHERE a.address = ANY (asked.addresses))
$$;

-- Returns the other system's name if a client's address is one of its own.
CREATE FUNCTION postfix.other_system(client text) RETURNS SETOF text
LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = directory, pg_catalog AS $$
  SELECT o.host FROM other_system AS o
  WHERE EXISTS (SELECT FROM splits) AND CASE WHEN client ~ '^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.|$)){4}$' AND client !~ '\.$'
    THEN client::inet <<= ANY (o.networks) ELSE false END
$$;

-- How the other system has to show who it is, by Postfix's name of the destination.
CREATE VIEW postfix.other_system_tls AS
SELECT '[' || host || ']' AS destination,
  CASE WHEN keys = '{}' THEN 'secure match=' || host ELSE 'fingerprint match=' || array_to_string(keys, '|') END
    || ' protocols=>=TLSv1.3' AS policy
FROM directory.other_system;

REVOKE ALL ON FUNCTION postfix.elsewhere(text), postfix.other_system(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION postfix.elsewhere(text), postfix.other_system(text) TO mail_read;
GRANT SELECT ON postfix.resident, postfix.split, postfix.other_system_tls TO mail_read;
