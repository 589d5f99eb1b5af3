# Memory of a decode, by case: the allocator's peak and the weights, on a logarithmic axis. The larger of the two has its
# figure on the right, the smaller on the left.
load scripts . '/common.gp'
set logscale x 2
set xlabel 'bytes held by the allocator'
larger(a, b) = b > a ? b : a
if (lines > 0) {
    plot data index backends using (x_low):1:ytic(2) with points pointsize 0 notitle, \
         for [b = 0:backends - 1] data index b every ::1 using 2:1:($5 - $2):(0) with vectors nohead \
             linewidth 1.2 linecolor rgb '#bbbbbb' notitle, \
         for [b = 0:backends - 1] data index b using 2:1 with points pointtype filled_shape(b) pointsize 1.1 \
             linecolor rgb colour(b) title columnheader(1), \
         for [b = 0:backends - 1] data index b every ::1 using 5:1 with points pointtype open_shape(b) pointsize 1.1 \
             linewidth 1.5 linecolor rgb colour(b) notitle, \
         for [b = 0:backends - 1] data index b every ::1 using 2:($5 > $2 ? NaN : $1):6 with labels left offset 1.2, 0 \
             font ',9' textcolor rgb text_colour notitle, \
         for [b = 0:backends - 1] data index b every ::1 using 2:($5 > $2 ? $1 : NaN):6 with labels right offset -1.2, 0 \
             font ',9' textcolor rgb text_colour notitle, \
         for [b = 0:backends - 1] data index b every ::1 using 5:($5 > $2 ? $1 : NaN):7 with labels left offset 1.2, 0 \
             font ',9' textcolor rgb text_colour notitle, \
         for [b = 0:backends - 1] data index b every ::1 using 5:($5 > $2 ? NaN : $1):7 with labels right offset -1.2, 0 \
             font ',9' textcolor rgb text_colour notitle
}
