-- From 0.1.0 to 0.2.0: other nodes' journals and anchors are taken in from a publisher, and nothing else of pgseal's own tables.
CREATE FUNCTION seal.take_in() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'pgseal_take_in';
COMMENT ON FUNCTION seal.take_in() IS
'Trigger function on pgseal''s own tables: of what logical replication brings, the journals and anchors of other nodes are stored, the rest is left out.';

CREATE TRIGGER take_in BEFORE INSERT OR UPDATE OR DELETE ON seal.history FOR EACH ROW EXECUTE FUNCTION seal.take_in();
CREATE TRIGGER take_in BEFORE INSERT OR UPDATE OR DELETE ON seal.epoch FOR EACH ROW EXECUTE FUNCTION seal.take_in();
CREATE TRIGGER take_in BEFORE INSERT OR UPDATE OR DELETE ON seal.journal FOR EACH ROW EXECUTE FUNCTION seal.take_in();
CREATE TRIGGER take_in BEFORE INSERT OR UPDATE OR DELETE ON seal.anchor FOR EACH ROW EXECUTE FUNCTION seal.take_in();
CREATE TRIGGER take_in BEFORE INSERT OR UPDATE OR DELETE ON seal.run FOR EACH ROW EXECUTE FUNCTION seal.take_in();
CREATE TRIGGER take_in BEFORE INSERT OR UPDATE OR DELETE ON seal.checkpoint FOR EACH ROW EXECUTE FUNCTION seal.take_in();
CREATE TRIGGER take_in BEFORE INSERT OR UPDATE OR DELETE ON seal.closing FOR EACH ROW EXECUTE FUNCTION seal.take_in();
CREATE TRIGGER take_in BEFORE INSERT OR UPDATE OR DELETE ON seal.alert FOR EACH ROW EXECUTE FUNCTION seal.take_in();

ALTER TABLE seal.history ENABLE REPLICA TRIGGER take_in;
ALTER TABLE seal.epoch ENABLE REPLICA TRIGGER take_in;
ALTER TABLE seal.journal ENABLE REPLICA TRIGGER take_in;
ALTER TABLE seal.anchor ENABLE REPLICA TRIGGER take_in;
ALTER TABLE seal.run ENABLE REPLICA TRIGGER take_in;
ALTER TABLE seal.checkpoint ENABLE REPLICA TRIGGER take_in;
ALTER TABLE seal.closing ENABLE REPLICA TRIGGER take_in;
ALTER TABLE seal.alert ENABLE REPLICA TRIGGER take_in;

REVOKE ALL ON FUNCTION seal.take_in() FROM PUBLIC;
