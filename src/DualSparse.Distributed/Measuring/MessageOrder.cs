namespace DualSparse.Distributed.Measuring;

/// <summary>When a stage's messages are sent.</summary>
internal enum MessageOrder
{
    /// <summary>All at once: one latency, but several meet at one rank's link.</summary>
    Together,

    /// <summary>To one rank at a time while another's arrives: as many latencies as peers, and no two meet.</summary>
    Pairwise,
}
