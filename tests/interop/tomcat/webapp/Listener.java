// SPDX-License-Identifier: Apache-2.0
package app;

import org.apache.catalina.SessionEvent;
import org.apache.catalina.ha.session.ReplicatedSessionListener;

/** A session listener that travels with its session. */
public class Listener implements ReplicatedSessionListener {
    private static final long serialVersionUID = 7L;
    private final String name;

    public Listener(String name) {
        this.name = name;
    }

    @Override
    public void sessionEvent(SessionEvent event) {
        // what matters is that it is there
    }

    @Override
    public String toString() {
        return name;
    }
}
