/* No page of ours draws charts: this stands before the theme's library of 200 kB. */
