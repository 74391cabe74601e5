import java.io.StringReader;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/**
 * What applications do by JDBC with the history h, one step after the other. Each prints a line: its name and what came
 * of it. The tests compare these lines, and verify the history.
 */
public final class Recorder {
    private static final String INSERT = "INSERT INTO h (tenant, payload) VALUES (?, ?::jsonb)";

    private final Connection session;
    private final Connection other;

    private Recorder(Connection session, Connection other) {
        this.session = session;
        this.other = other;
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection session = DriverManager.getConnection(arguments[0]);
                Connection other = DriverManager.getConnection(arguments[0])) {
            new Recorder(session, other).run();
        }
    }

    private void run() throws Exception {
        say("single", single());
        say("batch", batch());
        say("keys of a batch", keysOfBatch());
        say("chosen keys", chosenKeys());
        say("batch that fails", batchThatFails());
        say("savepoint", savepoint());
        say("copy", copy());
        say("copy without a list", refusal(() -> manager().copyIn("COPY h FROM STDIN", new StringReader("1\tacme\n"))));
        say("update", refusal(() -> execute(session, "UPDATE h SET tenant = 'umbrella'")));
        say("rows of a result", rowsOfResult());
        say("cursor", cursor());
        say("all columns", allColumns());
        say("new column", newColumn());
    }

    private static void say(String step, Object outcome) {
        System.out.println(step + ": " + outcome);
    }

    private interface Step {
        Object take() throws Exception;
    }

    /** SQLSTATE, message and HINT of what must fail. */
    private static String refusal(Step step) throws Exception {
        try {
            return "not refused: " + step.take();
        } catch (PSQLException error) {
            ServerErrorMessage said = error.getServerErrorMessage();
            return said.getSQLState() + " " + said.getMessage() + " / " + said.getHint();
        }
    }

    private static int execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
            return statement.getUpdateCount();
        }
    }

    private org.postgresql.copy.CopyManager manager() throws SQLException {
        return session.unwrap(PGConnection.class).getCopyAPI();
    }

    private static void fill(PreparedStatement insert, String tenant, int number) throws SQLException {
        insert.setString(1, tenant);
        insert.setString(2, "{\"number\": " + number + "}");
    }

    /** Twelve rows, each a transaction, by one statement that the driver prepares in the server on the way. */
    private int single() throws SQLException {
        int stored = 0;
        try (PreparedStatement insert = session.prepareStatement(INSERT)) {
            for (int number = 0; number < 12; number++) {
                fill(insert, "acme", number);
                stored += insert.executeUpdate();
            }
        }
        return stored;
    }

    /** 300 rows in three batches and one transaction. */
    private String batch() throws SQLException {
        List<Integer> sizes = new ArrayList<>();
        session.setAutoCommit(false);
        try (PreparedStatement insert = session.prepareStatement(INSERT)) {
            for (int number = 0; number < 300; number++) {
                fill(insert, number % 3 == 0 ? "umbrella" : "acme", number);
                insert.addBatch();
                if (number % 100 == 99) {
                    sizes.add(insert.executeBatch().length);
                }
            }
        }
        session.commit();
        session.setAutoCommit(true);
        return sizes.toString();
    }

    /** The driver asks for RETURNING *: the first column is the table's first. */
    private String keysOfBatch() throws SQLException {
        long last = 0;
        int keys = 0;
        boolean ascending = true;
        try (PreparedStatement insert = session.prepareStatement(INSERT, Statement.RETURN_GENERATED_KEYS)) {
            for (int number = 0; number < 50; number++) {
                fill(insert, "acme", number);
                insert.addBatch();
            }
            insert.executeBatch();
            try (ResultSet returned = insert.getGeneratedKeys()) {
                while (returned.next()) {
                    ascending &= returned.getLong(1) > last && returned.getLong("id") == returned.getLong(1);
                    last = returned.getLong(1);
                    keys++;
                }
            }
        }
        return keys + (ascending ? " ascending" : " in disorder");
    }

    /** The place in its chain of an entry comes back like any column. */
    private String chosenKeys() throws SQLException {
        try (PreparedStatement insert = session.prepareStatement(INSERT, new String[] {"id", "seal_seq", "seal_mac"})) {
            fill(insert, "acme", 1);
            insert.executeUpdate();
            try (ResultSet returned = insert.getGeneratedKeys()) {
                returned.next();
                return (returned.getLong("seal_seq") > 0) + " " + returned.getBytes("seal_mac").length;
            }
        }
    }

    /** The row in the middle breaks a constraint: none of its batch is stored, in autocommit neither. */
    private String batchThatFails() throws SQLException {
        List<String> states = new ArrayList<>();
        for (boolean autocommit : new boolean[] {false, true}) {
            session.setAutoCommit(autocommit);
            try (PreparedStatement insert = session.prepareStatement(INSERT)) {
                for (int number = 0; number < 20; number++) {
                    fill(insert, number == 10 ? "nobody" : "acme", number);
                    insert.addBatch();
                }
                insert.executeBatch();
            } catch (BatchUpdateException error) {
                states.add(error.getSQLState());
            }
            if (!autocommit) {
                session.rollback();
            }
        }
        return states.toString();
    }

    private String savepoint() throws SQLException {
        session.setAutoCommit(false);
        execute(session, "INSERT INTO h (tenant) VALUES ('acme')");
        Savepoint before = session.setSavepoint();
        String refusal;
        try {
            execute(session, "INSERT INTO h (tenant) VALUES ('acme'), ('nobody')");
            refusal = "not refused";
        } catch (SQLException error) {
            refusal = error.getSQLState();
        }
        session.rollback(before);
        int stored = execute(session, "INSERT INTO h (tenant) VALUES ('umbrella')");
        session.commit();
        session.setAutoCommit(true);
        return refusal + ", then " + stored;
    }

    private long copy() throws Exception {
        return manager().copyIn("COPY h (tenant, payload) FROM STDIN", new StringReader("acme\t{}\numbrella\t{}\n"));
    }

    /** A row inserted through an updatable result; one that cannot be changed, nor deleted. */
    private String rowsOfResult() throws Exception {
        try (Statement statement = session.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
                ResultSet rows = statement.executeQuery("SELECT * FROM h ORDER BY id LIMIT 1")) {
            rows.moveToInsertRow();
            rows.updateLong("id", 100_000);
            rows.updateString("tenant", "acme");
            rows.insertRow();
            rows.moveToCurrentRow();
            rows.first();
            String deleted = refusal(() -> { rows.deleteRow(); return "deleted"; });
            rows.updateString("tenant", "umbrella");
            String updated = refusal(() -> { rows.updateRow(); return "updated"; });
            return deleted.substring(0, 5) + " " + updated.substring(0, 5);
        }
    }

    private int cursor() throws SQLException {
        int read = 0;
        session.setAutoCommit(false);
        try (Statement statement = session.createStatement()) {
            statement.setFetchSize(50);
            try (ResultSet rows = statement.executeQuery("SELECT * FROM h WHERE id <> 100000 ORDER BY id LIMIT 200")) {
                while (rows.next()) {
                    if (++read % 100 == 0) {
                        execute(session, "INSERT INTO h (tenant) VALUES ('acme')");
                    }
                }
            }
        }
        session.commit();
        session.setAutoCommit(true);
        return read;
    }

    private String allColumns() throws SQLException {
        try (Statement statement = session.createStatement(); ResultSet rows = statement.executeQuery("SELECT * FROM h LIMIT 1")) {
            List<String> types = new ArrayList<>();
            for (int column = 5; column <= rows.getMetaData().getColumnCount(); column++) {
                types.add(rows.getMetaData().getColumnName(column) + " " + rows.getMetaData().getColumnTypeName(column));
            }
            return types.toString();
        }
    }

    /** A statement that is prepared in the server, before and after somebody else adds a column. */
    private int newColumn() throws SQLException {
        int stored = 0;
        try (PreparedStatement insert = session.prepareStatement(INSERT)) {
            for (int number = 0; number < 20; number++) {
                if (number == 10) {
                    execute(other, "ALTER TABLE h ADD COLUMN origin text DEFAULT 'somewhere'");
                }
                fill(insert, "acme", number);
                stored += insert.executeUpdate();
            }
        }
        return stored;
    }
}
