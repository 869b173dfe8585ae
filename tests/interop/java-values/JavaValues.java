/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Java side of the test interop/java-values. "write DIR" makes DIR/stream.ser with ObjectOutputStream: values of
 * many classes that share objects, with block data, resets and failed writes between them, and DIR/delta.ser, a
 * DeltaRequest. clusterd then cuts every value out and writes streams of its own; "check DIR" reads those with
 * ObjectInputStream and compares them with the values that "write" had.
 */
import java.io.*;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Function;

public final class JavaValues {
    static class Bean implements Serializable {
        private static final long serialVersionUID = 42;
        int count;
        String label;
        Object next;

        Bean(int count, String label, Object next) {
            this.count = count;
            this.label = label;
            this.next = next;
        }
    }

    static class Sub extends Bean {
        private static final long serialVersionUID = 43;
        double d = 1.5;
        byte[] bytes = {1, 2, 3};
        transient String extra;

        Sub(String label, Object next, String extra) {
            super(7, label, next);
            this.extra = extra;
        }

        private void writeObject(ObjectOutputStream out) throws IOException {
            out.defaultWriteObject();
            out.writeUTF(extra);
            out.writeObject(next);
            out.writeInt(0x78787878); // looks like end marks
        }

        private void readObject(ObjectInputStream in) throws IOException, ClassNotFoundException {
            in.defaultReadObject();
            extra = in.readUTF();
            in.readObject();
            in.readInt();
        }
    }

    static class External implements Externalizable {
        private static final long serialVersionUID = 44;
        String a;
        Object b;

        public External() {
        }

        External(String a, Object b) {
            this.a = a;
            this.b = b;
        }

        @Override
        public void writeExternal(ObjectOutput out) throws IOException {
            out.writeUTF(a);
            out.writeObject(b);
            out.write(new byte[2000]);
            out.writeObject(a);
        }

        @Override
        public void readExternal(ObjectInput in) throws IOException, ClassNotFoundException {
            a = in.readUTF();
            b = in.readObject();
            in.readFully(new byte[2000]);
            if (!a.equals(in.readObject()))
                throw new IOException("tail of External");
        }
    }

    static class Half implements Serializable {
        private static final long serialVersionUID = 45;
        String a = "written";
        Object z = new Object(); // cannot be written
    }

    static class Unshared implements Serializable {
        private static final long serialVersionUID = 46;
        transient String[] own = {"u"};

        private void writeObject(ObjectOutputStream out) throws IOException {
            out.writeUnshared(own);
        }

        private void readObject(ObjectInputStream in) throws IOException, ClassNotFoundException {
            own = (String[]) in.readUnshared();
        }
    }

    enum Color {
        RED, GREEN {
            @Override
            public String toString() {
                return "green";
            }
        }
    }

    interface Call extends Function<String, String>, Serializable {
    }

    static String repeat(String s, int n) {
        return String.join("", Collections.nCopies(n, s));
    }

    /* The same values each time; they share `text`, `list` and beans. */
    static List<Object> values() {
        String text = "shared text";
        List<Object> list = new ArrayList<>(List.of(text, 1, 2L));
        Bean bean = new Bean(1, text, list);
        Bean loop = new Bean(2, "loop", null);
        loop.next = new Bean(3, "inner", loop);
        Map<Object, Object> map = new HashMap<>();
        map.put("k", text);
        map.put("list", list);
        Map<Object, Object> self = new LinkedHashMap<>();
        self.put("self", self);
        Object deep = null;
        for (int i = 0; i < 300; i++)
            deep = new Bean(i, text, deep);
        List<Object> all = new ArrayList<>();
        Collections.addAll(all, text, text, 5, 5, 5L, (short) 3, (byte) -1, 'x', true, 1.5, 0.1f, Double.NaN, 1e21,
                100.0, 1.0E-5, 12345.678f, new byte[] {1, 2, 3}, new int[] {1, 2}, new long[0],
                new char[] {'a', '\u20ac'}, new String[] {text, null, "x"},
                new Object[] {text, list, new int[][] {{1}, {2, 3}}}, list, bean, bean, loop, loop.next, map, self,
                new LinkedHashMap<>(map), new TreeMap<>(Map.of("b", 1, "a", 2)), new TreeSet<>(List.of(3, 1, 2)),
                new HashSet<>(List.of("one")), new LinkedHashSet<>(List.of("p", "q")), new LinkedList<>(list),
                new ArrayDeque<>(List.of("d")), new ConcurrentHashMap<>(Map.of("k", "v")),
                new CopyOnWriteArrayList<>(List.of("c")), new Hashtable<>(Map.of("h", 1)), List.of(1, text),
                Set.of("only"), Map.of("k", List.of()), Arrays.asList("x", text), Collections.emptyList(),
                Collections.unmodifiableList(list), Collections.synchronizedMap(new HashMap<>(Map.of("s", 2))),
                new Date(0), new java.sql.Timestamp(1795279274950L), new BigDecimal("12.50"),
                new UUID(1, 2), Locale.GERMANY, TimeUnit.SECONDS, Color.RED, Color.GREEN, Color.RED, String.class,
                int[].class, Color.class, new Sub("sub", bean, "extra"), new Sub("sub2", list, text),
                new External("ext", list), new External("ext2", bean), new Unshared(), deep,
                repeat("long", 20000), repeat("\u20ac", 30000), "\0\u00e9\u20ac\ud83d\ude00", "\ud800 lone",
                (Call) s -> s + "!", java.lang.reflect.Proxy.newProxyInstance(JavaValues.class.getClassLoader(),
                        new Class<?>[] {Comparable.class, Runnable.class}, new Handler(text)),
                ObjectStreamClass.lookup(Bean.class), new Exception("with a stack trace", new IOException("cause")),
                java.time.LocalDate.of(2026, 11, 21), new StringBuilder("sb"), new Stack<>(), new BitSet(70));
        return all;
    }

    static final class Handler implements java.lang.reflect.InvocationHandler, Serializable {
        private static final long serialVersionUID = 47;
        final String name;

        Handler(String name) {
            this.name = name;
        }

        @Override
        public Object invoke(Object proxy, java.lang.reflect.Method method, Object[] args) {
            return name;
        }
    }

    /* A description that is equal for equal structures, sharing and cycles included. */
    static String describe(Object o, IdentityHashMap<Object, Integer> seen) throws Exception {
        if (o == null || o instanceof Number || o instanceof Boolean || o instanceof Character || o instanceof Class
                || o instanceof Enum || o instanceof Date || o instanceof UUID || o instanceof Locale
                || o instanceof java.time.LocalDate || o instanceof BitSet)
            return (o == null ? "" : o.getClass().getName()) + ":" + o;
        if (o instanceof String || o instanceof StringBuilder)
            return o.getClass().getSimpleName() + o.toString().length() + ":" + o;
        Integer known = seen.putIfAbsent(o, seen.size());
        if (known != null)
            return "#" + known;
        StringBuilder b = new StringBuilder(o.getClass().getName()).append('{');
        if (o.getClass().isArray())
            for (int i = 0; i < java.lang.reflect.Array.getLength(o); i++)
                b.append(describe(java.lang.reflect.Array.get(o, i), seen)).append(',');
        else if (o instanceof Map)
            for (Map.Entry<?, ?> e : ((Map<?, ?>) o).entrySet())
                b.append(describe(e.getKey(), seen)).append('=').append(describe(e.getValue(), seen)).append(',');
        else if (o instanceof Collection)
            for (Object x : (Collection<?>) o)
                b.append(describe(x, seen)).append(',');
        else if (o instanceof Sub)
            b.append(bean((Bean) o, seen)).append(((Sub) o).d).append(Arrays.toString(((Sub) o).bytes))
                    .append(((Sub) o).extra);
        else if (o instanceof Bean)
            b.append(bean((Bean) o, seen));
        else if (o instanceof External)
            b.append(((External) o).a).append(describe(((External) o).b, seen));
        else if (o instanceof Unshared)
            b.append(Arrays.toString(((Unshared) o).own));
        else if (o instanceof Throwable)
            b.append(o).append(((Throwable) o).getCause());
        else if (o instanceof Call)
            return "lambda " + ((Call) o).apply("x");
        else if (o instanceof Runnable)
            return "proxy " + o;
        else if (o instanceof ObjectStreamClass)
            b.append(o);
        else
            throw new IOException("no description of " + o.getClass());
        return b.append('}').toString();
    }

    static String bean(Bean b, IdentityHashMap<Object, Integer> seen) throws Exception {
        return b.count + "," + b.label + "," + describe(b.next, seen);
    }

    static void write(Path dir) throws Exception {
        List<Object> all = values();
        try (ObjectOutputStream out = new ObjectOutputStream(Files.newOutputStream(dir.resolve("stream.ser")))) {
            int i = 0;
            for (Object o : all) {
                out.writeObject(o);
                if (i % 7 == 3)
                    out.writeUTF("block data " + i);
                if (i == 20 || i == 50)
                    out.reset();
                if (i == 30 || i == 31) {
                    try {
                        out.writeObject(new Object[] {all, new Half()});
                        throw new IOException("Half was written");
                    } catch (NotSerializableException expected) {
                        // TC_EXCEPTION is in the stream now
                    }
                }
                i++;
            }
        }
        try (ObjectOutputStream out = new ObjectOutputStream(Files.newOutputStream(dir.resolve("delta.ser")))) {
            out.writeUTF("ID.\u20ac");
            out.writeBoolean(false);
            out.writeInt(all.size());
            int i = 0;
            for (Object o : all) {
                out.writeInt(0);
                out.writeInt(0);
                out.writeUTF("name" + i++);
                out.writeBoolean(true);
                out.writeObject(o);
            }
        }
    }

    static void compare(String what, Object want, Object got) throws Exception {
        String a = describe(want, new IdentityHashMap<>()), b = describe(got, new IdentityHashMap<>());
        if (!a.equals(b))
            throw new IOException(what + " differs:\n  written " + a + "\n  read    " + b);
    }

    static void check(Path dir) throws Exception {
        List<Object> all = values();
        for (int i = 0; i < all.size(); i++) {
            Path file = dir.resolve("value" + i + ".ser");
            try (ObjectInputStream in = new ObjectInputStream(Files.newInputStream(file))) {
                compare("value " + i, all.get(i), in.readObject());
                if (in.read() >= 0)
                    throw new IOException("value " + i + " has a tail");
            }
            checkText(i, all.get(i), dir.resolve("text" + i));
        }
        if (Files.exists(dir.resolve("value" + all.size() + ".ser")))
            throw new IOException("more values than were written");
        try (ObjectInputStream in = new ObjectInputStream(Files.newInputStream(dir.resolve("delta-again.ser")))) {
            if (!in.readUTF().equals("ID.\u20ac") || in.readBoolean() || in.readInt() != all.size())
                throw new IOException("head of the delta");
            for (int i = 0; i < all.size(); i++) {
                if (in.readInt() != 0 || in.readInt() != 0 || !in.readUTF().equals("name" + i) || !in.readBoolean())
                    throw new IOException("action " + i);
                compare("delta value " + i, all.get(i), in.readObject());
            }
        }
        System.out.println(all.size() + " values read");
    }

    /* Where Java has an obvious text, clusterd's must be the same. */
    static void checkText(int i, Object o, Path file) throws Exception {
        String want = null;
        if (o instanceof Number && !(o instanceof BigDecimal) || o instanceof Boolean || o instanceof Character)
            want = String.valueOf(o);
        else if (o instanceof Enum)
            want = ((Enum<?>) o).name();
        else if (o instanceof Date)
            want = java.time.format.DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSX")
                    .format(((Date) o).toInstant().atOffset(java.time.ZoneOffset.UTC));
        else if (o instanceof String)
            want = ((String) o).replace('\ud800', '\ufffd');
        else if (o instanceof TreeMap)
            want = "{\"a\":2,\"b\":1}";
        else if (o instanceof TreeSet)
            want = "[1,2,3]";
        else if (o instanceof ArrayDeque)
            want = "[\"d\"]";
        else if (o instanceof Set)
            want = ((Set<?>) o).stream().map(x -> "\"" + x + "\"").reduce((x, y) -> x + "," + y)
                    .map(x -> "[" + x + "]").orElse("[]");
        else if (o instanceof Hashtable)
            want = "{\"h\":1}";
        else if (o instanceof LinkedList)
            want = "[\"shared text\",1,2]";
        if (o instanceof String && ((String) o).contains("\ud83d"))
            want = (String) o;
        if (want == null)
            return;
        String got = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
        if (!want.equals(got))
            throw new IOException("text of value " + i + ": " + want + " but got " + got);
    }

    public static void main(String[] args) throws Exception {
        if (args[0].equals("write"))
            write(Paths.get(args[1]));
        else
            check(Paths.get(args[1]));
    }
}
