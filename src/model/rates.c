#include "src/model/rates.h"

#define AT(member) offsetof(precis_rates, member)

const precis_rate_field precis_rate_fields[] = {
    {"threads", "", AT(threads), 1, 4096, "of a rank"},
    {"fast_memory", "B", AT(fast_memory), 1024, 0x1p50, "of cache that a rank owns"},
    {"node_latency", "s", AT(node_latency), 1e-9, 1, "of a message inside a node"},
    {"node_bandwidth", "B/s", AT(node_bandwidth), 1e3, 1e15, "of a rank, all of a node sending"},
    {"network_latency", "s", AT(network_latency), 1e-9, 10, "of a message between nodes"},
    {"network_bandwidth", "B/s", AT(network_bandwidth), 1e3, 1e15, "of a node, all ranks sending"},
    {"network_stream", "B/s", AT(network_stream), 1e3, 1e15, "of one rank alone"},
    {"tile_flops", "flop/s", AT(tile_flops), 1e3, 1e18, "of exact attention, exponentials apart"},
    {"tile_exponentials", "1/s", AT(tile_exponentials), 1e3, 1e18, "and these: one for each pair"},
    {"tile_stream", "1/s", AT(tile_stream), 1e3, 1e18, "numbers of keys and values passing by"},
    {"summarise_flops", "flop/s", AT(summarise_flops), 1e3, 1e18, "of products with values"},
    {"summarise_features", "1/s", AT(summarise_features), 1e3, 1e18, "features made for them"},
    {"summarise_counts", "1/s", AT(summarise_counts), 1e3, 1e18, "features that are only counted"},
    {"apply_flops", "flop/s", AT(apply_flops), 1e3, 1e18, "of products with summaries"},
    {"apply_features", "1/s", AT(apply_features), 1e3, 1e18, "features made for them"},
    {"apply_counts", "1/s", AT(apply_counts), 1e3, 1e18, "features of counts alone"},
    {"memory_bandwidth", "B/s", AT(memory_bandwidth), 1e3, 1e16, "read and written, a plain copy"},
    {"page_bandwidth", "B/s", AT(page_bandwidth), 1e3, 1e16, "of memory used for the first time"},
    {"survey_numbers", "1/s", AT(survey_numbers), 1e3, 1e16, "of keys and values surveyed"},
    {"pack_numbers", "1/s", AT(pack_numbers), 1e3, 1e16, "of keys and values put into parcels"},
    {"bulk_numbers", "1/s", AT(bulk_numbers), 1e3, 1e16, "of tokens made ready for summaries"},
    {"merge_numbers", "1/s", AT(merge_numbers), 1e3, 1e16, "of partial results merged"},
    {"finish_numbers", "1/s", AT(finish_numbers), 1e3, 1e16, "of results finished"},
    {"call_time", "s", AT(call_time), 0, 100, "of a call, whatever its size"},
    {"step_time", "s", AT(step_time), 0, 100, "of a step: threads start and stop"},
    {"row_time", "s", AT(row_time), 0, 1, "of one row's certificate"},
    {"fit_time", "s", AT(fit_time), 0, 100, "of fitting a polynomial"},
    {0}};

double *precis_rate_of(precis_rates *rates, const precis_rate_field *field)
{
  return (double *)((char *)rates + field->offset);
}

/* What all threads of a rank share in. */
static void multiply(precis_rates *r, double factor)
{
  double *const threaded[] = {&r->tile_flops,      &r->tile_exponentials,  &r->tile_stream,
                              &r->summarise_flops, &r->summarise_features, &r->summarise_counts,
                              &r->apply_flops,     &r->apply_features,     &r->apply_counts,
                              &r->pack_numbers,    &r->merge_numbers};
  for (size_t i = 0; i < sizeof threaded / sizeof *threaded; i++)
    *threaded[i] *= factor;
}

precis_rates precis_rates_with_threads(const precis_rates *rates, int threads)
{
  precis_rates r = *rates;
  multiply(&r, threads / rates->threads);
  r.threads = threads;
  return r;
}

precis_rates precis_rates_nominal(int threads)
{
  const precis_rates one = {.threads = 1,
                            .fast_memory = 0x1p21,
                            .node_latency = 5e-7,
                            .node_bandwidth = 8e9,
                            .network_latency = 3e-6,
                            .network_bandwidth = 12e9,
                            .network_stream = 8e9,
                            .tile_flops = 100e9,
                            .tile_exponentials = 3e9,
                            .tile_stream = 3e9,
                            .summarise_flops = 120e9,
                            .summarise_features = 15e9,
                            .summarise_counts = 20e9,
                            .apply_flops = 120e9,
                            .apply_features = 20e9,
                            .apply_counts = 25e9,
                            .memory_bandwidth = 15e9,
                            .page_bandwidth = 4e9,
                            .survey_numbers = 2e9,
                            .pack_numbers = 4e9,
                            .bulk_numbers = 3e9,
                            .merge_numbers = 2e9,
                            .finish_numbers = 1.5e9,
                            .call_time = 1e-5,
                            .step_time = 1e-6,
                            .row_time = 2e-7,
                            .fit_time = 2e-3};
  return precis_rates_with_threads(&one, threads);
}
