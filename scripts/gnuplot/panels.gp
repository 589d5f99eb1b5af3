# Draws charts of discs, after common.gp. Everything is in pixels from the top left, y downwards and negative: blocks of
# lines (x, y, and how far from there) for grid, axes and ceilings, and one of discs with the columns series, x, y, radius.
# Blocks begin with a row far outside.
set lmargin at screen 0
set rmargin at screen 1
set tmargin at screen 1
set bmargin at screen 0
set xrange [0:width]
set yrange [-height:0]
unset key
unset xtics
unset ytics
unset border
set style fill transparent solid 0.6 noborder
plot $grid using 1:2:3:4 with vectors nohead linewidth 1 linecolor rgb faint, \
     $axis using 1:2:3:4 with vectors nohead linewidth 1 linecolor rgb tone(1), \
     $roof using 1:2:3:4 with vectors nohead linewidth 2 linecolor rgb tone(0), \
     $disc using 2:3:4:(colour($1)) with circles linecolor rgb variable
unset output
