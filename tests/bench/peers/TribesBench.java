// SPDX-License-Identifier: Apache-2.0
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;

import org.apache.catalina.tribes.ByteMessage;
import org.apache.catalina.tribes.Channel;
import org.apache.catalina.tribes.ChannelException;
import org.apache.catalina.tribes.ChannelListener;
import org.apache.catalina.tribes.ErrorHandler;
import org.apache.catalina.tribes.Member;
import org.apache.catalina.tribes.UniqueId;
import org.apache.catalina.tribes.group.GroupChannel;
import org.apache.catalina.tribes.group.interceptors.MessageDispatchInterceptor;
import org.apache.catalina.tribes.group.interceptors.TcpFailureDetector;
import org.apache.catalina.tribes.membership.McastService;
import org.apache.catalina.tribes.transport.ReplicationTransmitter;
import org.apache.catalina.tribes.transport.nio.NioReceiver;
import org.apache.catalina.tribes.transport.nio.PooledParallelSender;

/**
 * One member of a channel of the real Tribes: takes the commands of channel_bench.c (see its head) and answers them in
 * the same form. `flight` is the number of sending threads, which is what "under way at a time" means in Tribes.
 * Usage: TribesBench PORT MCAST_PORT
 */
public class TribesBench implements ChannelListener {
    private static final long MAGIC = 0x43444253L;
    private static final int SENDERS = 4, FLOWS = 1024, STAMP = 16;

    private final GroupChannel channel = new GroupChannel();
    private final MessageDispatchInterceptor queue = new MessageDispatchInterceptor();
    private final LongAdder messages = new LongAdder(), bytes = new LongAdder(), disorder = new LongAdder();
    private final AtomicLongArray seen = new AtomicLongArray(SENDERS * FLOWS);
    private final long[] numbers = new long[FLOWS];

    private TribesBench(int port, int mcast) throws Exception {
        McastService m = new McastService();
        m.setAddress("228.0.0.4");
        m.setPort(mcast);
        m.setBind("127.0.0.1");
        m.setFrequency(500);
        m.setDropTime(3000);
        NioReceiver r = new NioReceiver();
        r.setAddress("127.0.0.1");
        r.setPort(port);
        r.setAutoBind(1);
        r.setMaxThreads(6);
        ReplicationTransmitter t = new ReplicationTransmitter();
        t.setTransport(new PooledParallelSender());
        channel.setMembershipService(m);
        channel.setChannelReceiver(r);
        channel.setChannelSender(t);
        channel.addInterceptor(new TcpFailureDetector());
        channel.addInterceptor(queue);
        channel.addChannelListener(this);
        channel.start(Channel.DEFAULT);
    }

    @Override
    public boolean accept(Serializable m, Member from) {
        return true;
    }

    @Override
    public void messageReceived(Serializable m, Member from) {
        messages.increment();
        if (!(m instanceof ByteMessage)) {
            return;
        }
        byte[] b = ((ByteMessage) m).getMessage();
        bytes.add(b.length);
        ByteBuffer head = ByteBuffer.wrap(b);
        if (b.length < STAMP || head.getInt() != (int) MAGIC) {
            return;
        }
        int flow = from.getPort() % SENDERS * FLOWS + (head.getInt() & FLOWS - 1);
        long number = head.getLong();
        if (seen.getAndSet(flow, number) > number && number != 0) {
            disorder.increment();
        }
    }

    /** Only counts: past the queue's size a message goes out synchronously, and nobody calls back. */
    private static class Counted implements ErrorHandler {
        final LongAdder bad = new LongAdder();

        @Override
        public void handleError(ChannelException x, UniqueId id) {
            bad.increment();
        }

        @Override
        public void handleCompletion(UniqueId id) {
        }
    }

    private boolean drain() throws InterruptedException {
        for (int i = 0; i < 60000; i++) {
            if (queue.getCurrentSize() <= 0 && queue.getActiveCount() == 0) {
                return true;
            }
            Thread.sleep(1);
        }
        return false;
    }

    private Member[] targets(String ports) {
        List<Member> found = new ArrayList<>();
        List<String> wanted = Arrays.asList(ports.split(","));
        for (Member m : channel.getMembers()) {
            if (wanted.contains("" + m.getPort())) {
                found.add(m);
            }
        }
        return found.size() == wanted.size() ? found.toArray(new Member[0]) : null;
    }

    private static double cpu() {
        return ProcessHandle.current().info().totalCpuDuration().get().toNanos() / 1e3;
    }

    /** One thread's messages, until time or count is over; its times in microseconds. */
    private long[] send(int flow, Member[] to, int options, byte[] same, boolean stamp, long end, AtomicLong left,
            AtomicLong lost, ErrorHandler handler) {
        long[] took = new long[1024];
        int n = 0;
        long began = System.nanoTime();
        while (began < end && left.getAndDecrement() > 0) {
            byte[] b = same;
            if (stamp) {
                b = same.clone();
                ByteBuffer.wrap(b).putInt((int) MAGIC).putInt(flow).putLong(numbers[flow]++);
            }
            try {
                channel.send(to, new ByteMessage(b), options, handler);
            } catch (ChannelException e) {
                lost.incrementAndGet();
            }
            long now = System.nanoTime();
            if (n == took.length) {
                took = Arrays.copyOf(took, n * 2);
            }
            took[n++] = (now - began) / 1000;
            began = now;
        }
        return Arrays.copyOf(took, n);
    }

    private String run(Map<String, String> q) throws Exception {
        int options = Integer.parseInt(q.getOrDefault("options", "8")), size = Integer.parseInt(q.getOrDefault("size", "1024"));
        int flight = Integer.parseInt(q.getOrDefault("flight", "1"));
        boolean stamp = !q.getOrDefault("stamp", "1").equals("0"), async = (options & Channel.SEND_OPTIONS_ASYNCHRONOUS) != 0;
        Member[] to = targets(q.get("to"));
        if (to == null) {
            return "{\"error\": \"not all members are there\"}";
        }
        byte[] same = new byte[size];
        new Random(1).nextBytes(same);
        AtomicLong left = new AtomicLong(Long.parseLong(q.getOrDefault("max", "" + Long.MAX_VALUE))), lost = new AtomicLong();
        Counted handler = new Counted();
        long[][] took = new long[flight][];
        Thread[] threads = new Thread[flight];
        double cpu = cpu();
        long began = System.nanoTime(), end = began + (long) (Double.parseDouble(q.getOrDefault("seconds", "1")) * 1e9);
        for (int i = 0; i < flight; i++) {
            int flow = i;
            threads[i] = new Thread(() -> took[flow] = send(flow, to, options, same, stamp, end, left, lost,
                    async ? handler : null));
            threads[i].start();
        }
        for (Thread t : threads) {
            t.join();
        }
        boolean drained = !async || drain();
        double seconds = (System.nanoTime() - began) / 1e9;
        long[] all = Arrays.stream(took).flatMapToLong(Arrays::stream).sorted().toArray();
        int n = Math.max(1, all.length);
        return String.format(Locale.ROOT, "{\"count\": %d, \"lost\": %d, \"failed\": %s, \"per_s\": %.1f, \"mb_s\": %.3f, "
                + "\"p50_us\": %d, \"p99_us\": %d, \"cpu_us\": %.4f}", all.length, lost.get() + handler.bad.sum(), !drained,
                all.length / seconds, all.length * (double) size / seconds / 1e6, all.length == 0 ? 0 : all[n / 2],
                all.length == 0 ? 0 : all[(int) (n * 0.99)], (cpu() - cpu) / n);
    }

    private String answer(String line) throws Exception {
        if (line.startsWith("run ")) {
            Map<String, String> q = new HashMap<>();
            for (String word : line.substring(4).trim().split(" +")) {
                String[] w = word.split("=", 2);
                q.put(w[0], w[1]);
            }
            return run(q);
        }
        if (line.equals("stats")) {
            return "{\"messages\": " + messages.sum() + ", \"bytes\": " + bytes.sum() + ", \"disorder\": " + disorder.sum() + "}";
        }
        StringBuilder s = new StringBuilder("{\"members\": [");
        for (Member m : channel.getMembers()) {
            s.append(s.charAt(s.length() - 1) == '[' ? "" : ", ").append(m.getPort());
        }
        return s.append("]}").toString();
    }

    public static void main(String[] a) throws Exception {
        TribesBench bench = new TribesBench(Integer.parseInt(a[0]), Integer.parseInt(a[1]));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("{\"ready\": true}");
        String line;
        while ((line = in.readLine()) != null && !line.equals("quit")) {
            System.out.println(bench.answer(line));
        }
        bench.channel.stop(Channel.DEFAULT);
        System.exit(0);
    }
}
