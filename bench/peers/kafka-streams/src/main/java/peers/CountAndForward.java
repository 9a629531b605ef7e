package peers;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The peer Kafka Streams: decodes each message, counts it for its job, and forwards it unchanged, exactly once.
 *
 * <p>It reads its settings from stdin, as a line of JSON, prints "ready" once it runs, and ends when stdin does.
 */
public final class CountAndForward {
    private static final String COUNTS = "counts";

    /** What it reads of a message; Jackson checks the syntax of the rest, and builds nothing of it. */
    record Message(Tracking tracking) {}

    record Tracking(String jobTaskId) {}

    private CountAndForward() {}

    public static void main(String[] arguments) throws Exception {
        BufferedReader stdin = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        JsonNode settings = new ObjectMapper().readTree(stdin.readLine());
        KafkaStreams streams = new KafkaStreams(topology(settings), properties(settings));
        CountDownLatch running = new CountDownLatch(1);
        streams.setStateListener(
                (now, before) -> {
                    if (now == KafkaStreams.State.RUNNING) {
                        running.countDown();
                    }
                });
        streams.setUncaughtExceptionHandler(
                error -> {
                    error.printStackTrace();
                    Runtime.getRuntime().halt(1);
                    return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
                });
        streams.start();
        running.await();
        System.out.println("ready");
        while (stdin.readLine() != null) {
            // Nothing is sent; this waits for the end.
        }
        Runtime.getRuntime().halt(0);
    }

    private static Properties properties(JsonNode settings) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, settings.get("group_id").asText());
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, settings.get("bootstrap_servers").asText());
        properties.put(StreamsConfig.STATE_DIR_CONFIG, settings.get("state_directory").asText());
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, settings.get("threads").asInt());
        // With it, consumers read committed records only.
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        // By default 100, with which a message takes a quarter more CPU time.
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1_000);
        // By default 5 and 16 KB, with which a message takes a fifth to a third more CPU time. With more records
        // than 1,000 a poll, it takes half more.
        properties.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 100);
        properties.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 200_000);
        properties.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        return properties;
    }

    private static Topology topology(JsonNode settings) {
        StreamsBuilder builder = new StreamsBuilder();
        // RocksDB with a changelog topic, as by default. The cache is what counts in the DSL have by default.
        builder.addStateStore(
                Stores.keyValueStoreBuilder(
                                Stores.persistentKeyValueStore(COUNTS), Serdes.String(), Serdes.Long())
                        .withCachingEnabled());
        builder.stream(settings.get("topic").asText(), Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .processValues(Counter::new, COUNTS)
                .to(settings.get("destination").asText(), Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
        return builder.build();
    }

    private static final class Counter implements FixedKeyProcessor<byte[], byte[], byte[]> {
        private static final ObjectReader READER =
                new ObjectMapper()
                        .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                        .readerFor(Message.class);

        private FixedKeyProcessorContext<byte[], byte[]> context;
        private KeyValueStore<String, Long> counts;

        @Override
        public void init(FixedKeyProcessorContext<byte[], byte[]> given) {
            context = given;
            counts = given.getStateStore(COUNTS);
        }

        @Override
        public void process(FixedKeyRecord<byte[], byte[]> record) {
            String job = jobOf(record.value());
            Long count = counts.get(job);
            counts.put(job, count == null ? 1L : count + 1L);
            context.forward(record);
        }

        private static String jobOf(byte[] value) {
            try {
                Message message = READER.readValue(value);
                String jobTaskId = message.tracking().jobTaskId();
                return jobTaskId.substring(0, jobTaskId.indexOf('.'));
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }
}
