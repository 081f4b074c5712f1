/* The sum of `count` prices, in cents. */
long total(const long *prices, int count);
