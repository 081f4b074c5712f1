#include <stdio.h>

#include "total.h"

int main(void) {
    const long basket[] = {1999, 250, 1};
    long sum = total(basket, 3);
    printf("%s - a basket of 22.50 costs %ld.%02ld\n", sum == 2250 ? "ok" : "not ok", sum / 100,
           sum % 100);
    return sum != 2250;
}
