// SPDX-License-Identifier: Apache-2.0
package app;

import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;

/** Objects that point at each other, with data that the class writes itself: what a serializer finds hard. */
public class Ring implements java.io.Serializable {
    private static final long serialVersionUID = 9L;
    private final String name;
    private Ring next = this;
    private transient long[] own;

    public Ring(String name, int n) {
        this.name = name;
        own = new long[n];
        for (int i = 0; i < n; i++) {
            own[i] = name.hashCode() + i;
            Ring r = new Ring(name + i, 0);
            r.next = next;
            next = r;
        }
    }

    private void writeObject(ObjectOutputStream out) throws IOException {
        out.defaultWriteObject();
        out.writeInt(own.length);
        for (long x : own) {
            out.writeLong(x);
        }
        out.writeObject(this);
        out.writeUTF("\u0078\u0000 end");
    }

    private void readObject(ObjectInputStream in) throws IOException, ClassNotFoundException {
        in.defaultReadObject();
        own = new long[in.readInt()];
        for (int i = 0; i < own.length; i++) {
            own[i] = in.readLong();
        }
        if (in.readObject() != this || !in.readUTF().endsWith("end")) {
            throw new IOException("not what was written");
        }
    }

    @Override
    public String toString() {
        StringBuilder b = new StringBuilder("Ring(").append(java.util.Arrays.hashCode(own));
        Ring r = this;
        do {
            b.append(',').append(r.name);
            r = r.next;
        } while (r != this);
        return b.append(')').toString();
    }
}
