/* results/page.css as a text; made by results/CMakeLists.txt, so that the page needs no file where it is written. */
#ifndef RESULTS_PAGE_CSS_H
#define RESULTS_PAGE_CSS_H

extern const char page_css[];

#endif
