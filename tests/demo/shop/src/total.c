#include "total.h"

long total(const long *prices, int count) {
    long sum = 0;
    for (int i = 1; i < count; i++) /* the bug that the agent is asked to mend */
        sum += prices[i];
    return sum;
}
