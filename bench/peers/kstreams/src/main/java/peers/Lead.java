package peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * The logic of bench/e2e/rules.yaml by hand: a score that halves in 7 days, points by event name, the
 * stages at 20, 50 and 100 points, and the last 32 events. One instance per thread: it is reused.
 *
 * <p>The state is one byte array: score, its time, number of events, stage, how many of the last events
 * there are and where the next goes, then (time, name) of each.
 */
public final class Lead {
  static final String[] NAMES = {"Page Viewed", "Email Opened", "Docs Viewed", "Case Study Viewed", "Webinar Registered",
    "Email Link Clicked", "Pricing Viewed", "Content Downloaded", "Trial Started", "Webinar Attended", "Demo Requested",
    "Unsubscribed"};
  static final double[] POINTS = {1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 5, -5};
  static final String[] STAGES = {"subscriber", "MQL", "SQL", "hot"};
  static final double HALF_LIFE_MS = 7 * 24 * 3600 * 1000.0;
  static final double LN2 = 0.693147180559945309417232121458176568;
  static final int WINDOW = 32;
  static final int HEADER = 27;
  static final int OTHER = 255;
  /** How many times the points count, as environment variable POINTS. */
  static final double TIMES = Double.parseDouble(System.getenv().getOrDefault("POINTS", "1"));
  static final Map<String, Integer> CODE = new HashMap<>();
  static final JsonFactory JSON = new JsonFactory();

  static {
    for (int i = 0; i < NAMES.length; i++) CODE.put(NAMES[i], i);
  }

  // The decoded event.
  String id;
  String lead;
  int name;
  long at;
  // What update found.
  int from;
  int to;
  double score;

  void decode(byte[] json) throws IOException {
    id = null;
    lead = null;
    name = OTHER;
    at = 0;
    try (JsonParser p = JSON.createParser(json)) {
      if (p.nextToken() != JsonToken.START_OBJECT) throw new IOException("not an object");
      String field;
      while ((field = p.nextFieldName()) != null) {
        JsonToken t = p.nextToken();
        switch (field) {
          case "messageId": id = p.getText(); break;
          case "userId": lead = p.getText(); break;
          case "event": name = CODE.getOrDefault(p.getText(), OTHER); break;
          case "timestamp": at = time(p.getTextCharacters(), p.getTextOffset(), p.getTextLength()); break;
          default: if (t.isStructStart()) p.skipChildren();
        }
      }
    }
    if (lead == null) throw new IOException("no userId");
  }

  // The day that was last seen: java.time takes longer than all the rest of an event.
  private int dayKey = -1;
  private long dayMs;

  /** Reads 2026-11-21T18:53:41.770Z; any other form the slow way. */
  private long time(char[] c, int o, int n) {
    if (n != 24 || c[o + 10] != 'T' || c[o + 23] != 'Z' || c[o + 19] != '.') {
      return Instant.parse(new String(c, o, n)).toEpochMilli();
    }
    int key = (number(c, o, 4) * 100 + number(c, o + 5, 2)) * 100 + number(c, o + 8, 2);
    if (key != dayKey) {
      dayMs = Instant.parse(new String(c, o, 10) + "T00:00:00Z").toEpochMilli();
      dayKey = key;
    }
    return dayMs + ((number(c, o + 11, 2) * 60L + number(c, o + 14, 2)) * 60L + number(c, o + 17, 2)) * 1000L + number(c, o + 20, 3);
  }

  private static int number(char[] c, int o, int n) {
    int v = 0;
    for (int i = 0; i < n; i++) v = v * 10 + c[o + i] - '0';
    return v;
  }

  static int stage(double s) {
    return s >= 100 ? 3 : s >= 50 ? 2 : s >= 20 ? 1 : 0;
  }

  /** Returns the new state; sets from, to, score. */
  byte[] update(byte[] old) {
    int n = old == null ? 0 : old[25];
    byte[] st = old == null ? new byte[HEADER + 9] : Arrays.copyOf(old, n < WINDOW ? old.length + 9 : old.length);
    ByteBuffer b = ByteBuffer.wrap(st).order(ByteOrder.LITTLE_ENDIAN);
    double s = b.getDouble(0);
    long last = old == null ? at : b.getLong(8);
    long dt = at - last;
    if (dt > 0) {
      s *= Math.exp(-(double) dt * LN2 / HALF_LIFE_MS);
      last = at;
    }
    if (name < POINTS.length) s += TIMES * POINTS[name];
    if (s < 0) s = 0;
    from = st[24];
    to = stage(s);
    score = s;
    b.putDouble(0, s);
    b.putLong(8, last);
    b.putLong(16, b.getLong(16) + 1);
    st[24] = (byte) to;
    int pos = st[26];
    if (n < WINDOW) st[25] = (byte) (n + 1);
    int o = HEADER + pos * 9;
    b.putLong(o, at);
    st[o + 8] = (byte) name;
    st[26] = (byte) ((pos + 1) % WINDOW);
    return st;
  }

  String transition() {
    return "{\"lead\":\"" + lead + "\",\"from\":\"" + STAGES[from] + "\",\"to\":\"" + STAGES[to] + "\",\"score\":"
        + Math.round(score * 1000) / 1000.0 + ",\"at\":" + at + ",\"event\":\"" + id + "\"}";
  }
}
