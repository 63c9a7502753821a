import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.io.DecoderFactory;

/** Answers of Avro for Java: reads cases.json from standard input, writes the answers to standard output. */
public class AvroAnswers {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);

    /** With the conversions that generated classes use. */
    private static final GenericData DATA = new GenericData();

    static {
        DATA.addLogicalTypeConversion(new Conversions.DecimalConversion());
        DATA.addLogicalTypeConversion(new Conversions.UUIDConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.TimestampMicrosConversion());
    }

    public static void main(String[] arguments) throws IOException, NoSuchAlgorithmException {
        JsonNode cases = JSON.readTree(System.in);
        ObjectNode avro = NODES.objectNode().put("version", Schema.class.getPackage().getImplementationVersion());
        ObjectNode resolution = avro.putObject("resolution");
        for (JsonNode it : cases.get("resolution")) {
            Schema writer = schema(it.get("writer"));
            Schema reader = schema(it.get("reader"));
            ObjectNode answer = resolution.putObject(it.get("name").asText());
            answer.put("check", check(writer, reader));
            answer.set("read", read(writer, reader, HexFormat.of().parseHex(it.get("datum").asText())));
        }
        ObjectNode canonical = avro.putObject("canonical");
        for (JsonNode it : cases.get("canonical")) {
            Schema schema = schema(it.get("schema"));
            byte[] fingerprint = SchemaNormalization.parsingFingerprint("CRC-64-AVRO", schema);
            canonical.putObject(it.get("name").asText())
                    .put("form", SchemaNormalization.toParsingForm(schema))
                    .put("fingerprint", HexFormat.of().formatHex(fingerprint));
        }
        JSON.writeValue(System.out, NODES.objectNode().set("avro (Java)", avro));
    }

    private static Schema schema(JsonNode json) {
        return new Schema.Parser().parse(json.toString());
    }

    private static String check(Schema writer, Schema reader) {
        return SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getType().name().toLowerCase();
    }

    private static JsonNode read(Schema writer, Schema reader, byte[] datum) throws IOException {
        try {
            var datumReader = new GenericDatumReader<Object>(writer, reader, DATA);
            Object value = datumReader.read(null, DecoderFactory.get().binaryDecoder(datum, null));
            return NODES.objectNode().set("value", plain(value));
        } catch (RuntimeException error) {
            return NODES.textNode("fails");
        }
    }

    private static JsonNode plain(Object value) {
        if (value instanceof IndexedRecord record) {
            ObjectNode fields = NODES.objectNode();
            for (Schema.Field field : record.getSchema().getFields()) {
                fields.set(field.name(), plain(record.get(field.pos())));
            }
            return fields;
        }
        if (value instanceof ByteBuffer bytes) {
            byte[] copy = new byte[bytes.remaining()];
            bytes.duplicate().get(copy);
            return NODES.objectNode().put("bytes", HexFormat.of().formatHex(copy));
        }
        if (value instanceof BigDecimal decimal) {
            return NODES.textNode(decimal.toPlainString());
        }
        if (value instanceof Instant instant) {
            return NODES.textNode(TIME.format(instant));
        }
        if (value == null || value instanceof Number) {
            return JSON.valueToTree(value);
        }
        return NODES.textNode(value.toString());
    }
}
