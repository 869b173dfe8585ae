/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusterctl: the operator's program; see ctl.h.
 */
#include "ctl.h"

int main(int argc, char **argv)
{
    return ctl_run(argc, argv, stdout, stderr);
}
