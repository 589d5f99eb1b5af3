# Latency of a decode, by case: the median and its 95 % interval, on a logarithmic axis.
load scripts . '/common.gp'
set logscale x
set xlabel 'wall time of one decode'
if (lines > 0) {
    plot data index backends using (x_low):1:ytic(2) with points pointsize 0 notitle, \
         for [b = 0:backends - 1] data index b using 2:1:3:4 with xerrorbars pointtype filled_shape(b) pointsize 1.1 \
             linewidth 1.5 linecolor rgb colour(b) title columnheader(1), \
         for [b = 0:backends - 1] data index b every ::1 using 4:1:6 with labels left offset 1.2, 0 font ',9' \
             textcolor rgb text_colour notitle
}
