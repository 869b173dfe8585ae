// SPDX-License-Identifier: Apache-2.0
package app;

/** A custom class that only the web application knows. */
public class Bean implements java.io.Serializable {
    private static final long serialVersionUID = 42L;
    private String name;
    private int count;
    private java.util.Date when = new java.util.Date(1000000000000L);
    private Bean next;

    public Bean(String name, int count) {
        this.name = name;
        this.count = count;
        if (count > 0) {
            next = new Bean(name + "'", 0);
        }
    }

    @Override
    public String toString() {
        return "Bean(" + name + "," + count + "," + when.getTime() + (next == null ? "" : "," + next) + ")";
    }
}
