# Draws a plot of lines and marks, after common.gp. Set before: the area left..right x top..bottom in pixels from the top
# left, line (height of one in pixels); x_low, x_high, logarithmic, ticks, ticks_above; rules; blocks of the grid and of
# the line at zero; a block of data a kind of mark with the columns series, x, y, low, high. Blocks begin with a row that
# is not drawn.
set lmargin at screen sx(left)
set rmargin at screen sx(right)
set tmargin at screen sy(top)
set bmargin at screen sy(bottom)
if (logarithmic) { set logscale x }
set xrange [x_low:x_high]
set yrange [-(bottom - top):0]
unset key
unset ytics
set border 1 linecolor rgb tone(1) linewidth 1
tick_font = sprintf('%s,%g', family, points(11))
set xtics out nomirror scale 0.5 offset 0, 0.4 textcolor rgb tone(1) font tick_font
eval 'set xtics (' . ticks . ')'
if (ticks_above) {
    set x2range [x_low:x_high]
    if (logarithmic) { set logscale x2 }
    set border 5
    set x2tics out scale 0.5 offset 0, -0.3 textcolor rgb tone(1) font tick_font
    eval 'set x2tics (' . ticks . ')'
}

do for [i = 2:rules + 1] {
    set arrow i from screen sx(12), sy(rule_y[i]) to screen sx(width - 12), sy(rule_y[i]) nohead back linewidth 0.5 \
        linecolor rgb faint
}
half = line * 0.5 - 2
half = half > 9 ? 9 : half
plot $grid using 1:2:(0):3 with vectors nohead linewidth 1 linecolor rgb faint, \
     $band using 2:3:4:5:($3 - half - 2):($3 + half + 2) with boxxyerror fillstyle solid noborder linecolor rgb band, \
     $zero using 1:2:(0):3 with vectors nohead linewidth 1.5 linecolor rgb tone(1), \
     $bar using 2:3:4:5:($3 - half):($3 + half):(colour($1)) with boxxyerror fillstyle solid noborder linecolor rgb variable, \
     $dot using 2:3:(0):(0.2):(colour($1)) with vectors nohead linewidth 3.5 linecolor rgb variable, \
     $tick using 2:($3 - half):(0):(2 * half):(colour($1)) with vectors nohead linewidth 2.5 linecolor rgb variable, \
     $point using 4:3:($5 - $4):(0):(colour($1)) with vectors nohead linewidth 2 linecolor rgb variable, \
     $hollow using 4:3:($5 - $4):(0):(colour($1)) with vectors nohead linewidth 2 linecolor rgb variable, \
     $point using 2:3:(filled_shape($1)):(colour($1)) with points pointtype variable pointsize 1 linecolor rgb variable, \
     $hollow using 2:3:(open_shape($1)):(colour($1)) with points pointtype variable pointsize 1 linewidth 1.5 linecolor rgb variable, \
     $beyond using 2:3:(colour($1)) with points pointtype 9 pointsize 0.8 linecolor rgb variable
unset output
