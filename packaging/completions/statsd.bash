# Made from the program: UPDATE=1 cargo test --test core man_pages
_statsd() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    COMPREPLY=()
    case $before in
    -c|--config)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    -o)
        compopt -o nospace
        mapfile -t COMPREPLY < <(compgen -W 'admin.allow_from= admin.bind= admin.health= admin.history= admin.history_memory= admin.hosts= admin.http= admin.idle_timeout= admin.max_connections= admin.metrics= carbon.address= carbon.connect_timeout= carbon.namespace= carbon.own_figures= carbon.pickle_batch= carbon.protocol= carbon.queue= carbon.reconnect_max= carbon.reconnect_min= carbon.resend= carbon.resend_keep= carbon.write_timeout= console.enabled= console.format= console.namespace= console.own_figures= exec.binary_stream= exec.command= exec.namespace= exec.own_figures= exec.timeout= ganglia.address= ganglia.max_name_length= ganglia.own_figures= ganglia.prefix= ganglia.spoof= influxdb.address= influxdb.bucket= influxdb.connect_timeout= influxdb.database= influxdb.namespace= influxdb.org= influxdb.own_figures= influxdb.password= influxdb.password_file= influxdb.protocol= influxdb.queue= influxdb.reconnect_max= influxdb.reconnect_min= influxdb.resend= influxdb.resend_keep= influxdb.token= influxdb.token_file= influxdb.username= influxdb.version= influxdb.write_timeout= key_flush.interval= key_flush.log= key_flush.percent= limits.evict_after= limits.max_key_length= limits.max_memory= limits.max_series= limits.max_tags= limits.series_memory= namespace.extended_counters= namespace.flush_counts= namespace.global_prefix= namespace.global_suffix= namespace.host_suffix= namespace.prefix_counter= namespace.prefix_gauge= namespace.prefix_kv= namespace.prefix_set= namespace.prefix_stats= namespace.prefix_timer= namespace.style= namespace.tags= repeater.address= repeater.protocol= spool.dir= spool.max_size= statsd.align_flush= statsd.delete_counters= statsd.delete_gauges= statsd.delete_idle= statsd.delete_sets= statsd.delete_timers= statsd.dump_messages= statsd.expire= statsd.flush_interval= statsd.gauge_ttl= statsd.group= statsd.log_format= statsd.log_level= statsd.packed_values= statsd.passthrough_memory= statsd.percentiles= statsd.sanitize_keys= statsd.set_error= statsd.set_exact= statsd.shutdown_timeout= statsd.squeeze_dots= statsd.state_file= statsd.state_interval= statsd.tag_formats= statsd.timer_error= statsd.timer_exact= statsd.timer_memory= statsd.timer_metrics= statsd.user= tcp.allow_from= tcp.bind= tcp.idle_timeout= tcp.max_connections= tcp.max_line= udp.allow_from= udp.bind= udp.recv_buffer= unix.datagram= unix.mode= unix.stream=' -- "$word") ;;
    --ask)
        mapfile -t COMPREPLY < <(compgen -W 'help stats info counters timers gauges sets delcounters deltimers delgauges delsets explain watch sinks senders bad top rules health config version quit' -- "$word") ;;
    *)
        mapfile -t COMPREPLY < <(compgen -W '-V -c -h -o --ask --check --compare --config --dry-run --every --help --import --print-config --stdin --strict --version' -- "$word") ;;
    esac
}
complete -F _statsd statsd
