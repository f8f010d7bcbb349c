package peers;

import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * Lead scoring in Kafka Streams: one processor with one key-value store and its changelog.
 *
 * <p>Environment: BROKERS, IN_TOPIC, OUT_TOPIC, APP, STATE_DIR; STREAMS_* are settings of Kafka Streams, as
 * STREAMS_PROCESSING_GUARANTEE for processing.guarantee. It prints "P unix_ms events" when events were
 * processed, at most every 20 ms, "S unix_ms STATE" when its state changes, which is RUNNING once all stores are
 * restored, and "R unix_ms records" when a store has been. It ends in order on SIGTERM.
 */
public final class StreamsApp {
  static final LongAdder DONE = new LongAdder();

  static final class Score implements Processor<String, byte[], String, String> {
    private ProcessorContext<String, String> context;
    private KeyValueStore<String, byte[]> store;
    private final Lead lead = new Lead();

    @Override
    public void init(ProcessorContext<String, String> c) {
      context = c;
      store = c.getStateStore("leads");
    }

    @Override
    public void process(Record<String, byte[]> r) {
      try {
        lead.decode(r.value());
      } catch (java.io.IOException e) {
        DONE.increment();
        return;
      }
      store.put(r.key(), lead.update(store.get(r.key())));
      if (lead.from != lead.to) context.forward(r.withValue(lead.transition()));
      DONE.increment();
    }
  }

  static String env(String name) {
    String v = System.getenv(name);
    if (v == null || v.isEmpty()) throw new IllegalArgumentException(name + " is not set");
    return v;
  }

  static Properties settings() {
    Properties p = new Properties();
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, env("APP"));
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env("BROKERS"));
    p.put(StreamsConfig.STATE_DIR_CONFIG, env("STATE_DIR"));
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    System.getenv().forEach((name, value) -> {
      if (name.startsWith("STREAMS_")) p.put(name.substring("STREAMS_".length()).toLowerCase().replace('_', '.'), value);
    });
    return p;
  }

  static void progress() {
    Thread t = new Thread(() -> {
      long last = -1;
      while (true) {
        long n = DONE.sum();
        if (n != last) {
          System.out.println("P " + System.currentTimeMillis() + " " + n);
          last = n;
        }
        try {
          Thread.sleep(20);
        } catch (InterruptedException e) {
          return;
        }
      }
    });
    t.setDaemon(true);
    t.start();
  }

  public static void main(String[] args) throws Exception {
    StoreBuilder<KeyValueStore<String, byte[]>> store =
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("leads"), Serdes.String(), Serdes.ByteArray()).withCachingEnabled();
    StreamsBuilder b = new StreamsBuilder();
    b.addStateStore(store);
    b.stream(env("IN_TOPIC"), Consumed.with(Serdes.String(), Serdes.ByteArray()))
        .process(Score::new, "leads")
        .to(env("OUT_TOPIC"), Produced.with(Serdes.String(), Serdes.String()));

    KafkaStreams streams = new KafkaStreams(b.build(), settings());
    CountDownLatch stop = new CountDownLatch(1);
    CountDownLatch gone = new CountDownLatch(1);
    streams.setUncaughtExceptionHandler(e -> {
      e.printStackTrace();
      stop.countDown();
      return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    });
    streams.setStateListener((now, was) -> System.out.println("S " + System.currentTimeMillis() + " " + now));
    streams.setGlobalStateRestoreListener(new StateRestoreListener() {
      @Override
      public void onRestoreStart(TopicPartition p, String store, long from, long to) {}

      @Override
      public void onBatchRestored(TopicPartition p, String store, long end, long n) {}

      @Override
      public void onRestoreEnd(TopicPartition p, String store, long n) {
        System.out.println("R " + System.currentTimeMillis() + " " + n);
      }
    });
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      stop.countDown();
      try {
        gone.await();
      } catch (InterruptedException e) {
        // Leaving anyway.
      }
    }));
    progress();
    streams.start();
    stop.await();
    streams.close(Duration.ofSeconds(30));
    gone.countDown();
  }
}
