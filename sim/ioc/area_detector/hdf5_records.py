"""Records of areaDetector's HDF5 file plugin."""

from collections.abc import Mapping
from typing import Any

from whiteline.sim.ioc.area_detector.records import (
    ARRAY_BUTTONS,
    ARRAY_READINGS,
    ARRAY_SETTINGS,
    Long,
    Records,
    no_yes,
    one_of,
    records,
)

AXES = tuple(map(str, range(10)))
EXTRA = ("X", "Y", "N", *AXES[3:])
"""Names of the extra dimensions, of which this plugin writes none."""

BLOSC_COMPRESSORS = ("BloscLZ", "LZ4", "LZ4HC", "Snappy", "ZLIB", "ZSTD")

PLUGIN_SETTINGS: Mapping[str, Any] = {
    "EnableCallbacks": one_of("Disable", "Enable"),
    "BlockingCallbacks": no_yes("Yes"),
    "NDArrayPort": "",
    "NDArrayAddress": 0,
    "MinCallbackTime": 0.0,
    "MaxArrayRate": 0.0,
    "MaxByteRate": 0.0,
    "DroppedArrays": 0,
    "DroppedOutputArrays": 0,
    "DisorderedArrays": 0,
    "QueueSize": 20,
    "NumThreads": 1,
    "SortMode": one_of("Unsorted", "Sorted"),
    "SortSize": 20,
    "SortTime": 0.1,
    **{f"ArraySize{axis}": 0 for axis in AXES},
    **{f"Dim{axis}SA": 0 for axis in AXES},
}
PLUGIN_BUTTONS: Mapping[str, Any] = {
    "QueueFree": 20,
    "QueueFreeLow": 0.0,
    "QueueUse": 0,
    "QueueUseHIGH": 0.0,
    "QueueUseHIHI": 0.0,
    "SortFree": 20,
    "SortFreeLow": 0.0,
    "ProcessPlugin": one_of("Done", "Process"),
    "MaxArrayRate_COUT": 0.0,
}
PLUGIN_READINGS: Mapping[str, Any] = {
    "PluginType_RBV": "NDFileHDF5",
    "MaxThreads_RBV": 1,
    "ExecutionTime_RBV": 0.0,
}
FILE_SETTINGS: Mapping[str, Any] = {
    "FilePath": Long(),
    "FileName": Long(),
    "FileNumber": 0,
    "FileTemplate": Long("%s%s_%6.6d.h5"),
    "FileFormat": one_of("HDF5"),
    "FileWriteMode": one_of("Single", "Capture", "Stream", first="Stream"),
    "AutoIncrement": no_yes("Yes"),
    "AutoSave": no_yes("Yes"),
    "WriteFile": one_of("Done", "Write"),
    "ReadFile": one_of("Done", "Read"),
    "Capture": one_of("Done", "Capture"),
    "NumCapture": 0,
    "DeleteDriverFile": no_yes(),
    "LazyOpen": no_yes(),
    "CreateDirectory": 0,
    "TempSuffix": "",
}
FILE_BUTTONS: Mapping[str, Any] = {
    "FileNumber_Sync": 0,
    "FileNumber_write": 0,
}
FILE_READINGS: Mapping[str, Any] = {
    "FilePathExists_RBV": one_of("No", "Yes"),
    "FullFileName_RBV": Long(),
    "NumCaptured_RBV": 0,
    "WriteStatus": one_of("Write OK", "Write error"),
    "WriteMessage": Long(),
}
HDF5_SETTINGS: Mapping[str, Any] = {
    "SWMRMode": one_of("Off", "On", first="On"),
    "NumRowChunks": 0,
    "NumColChunks": 0,
    "NumFramesChunks": 1,
    "NDAttributeChunk": 0,
    "NumFramesFlush": 1,
    "BoundaryAlign": 0,
    "BoundaryThreshold": 1,
    "Compression": one_of("None"),
    "NumDataBits": 8,
    "DataBitsOffset": 0,
    "SZipNumPixels": 16,
    "ZLevel": 0,
    "BloscCompressor": one_of(*BLOSC_COMPRESSORS),
    "BloscLevel": 0,
    "BloscShuffle": one_of("None", "ByteShuffle", "BitShuffle"),
    "StoreAttr": no_yes("Yes"),
    "StorePerform": no_yes(),
    "DimAttDatasets": no_yes(),
    "FillValue": 0.0,
    "XMLFileName": Long(),
    "PositionMode": one_of("Off", "On"),
    "NumExtraDims": 0,
    **{f"ExtraDimSize{name}": 1 for name in EXTRA},
    **{f"ExtraDimChunk{name}": 1 for name in EXTRA if name != "N"},
    **{f"PosNameDim{name}": "" for name in EXTRA},
    **{f"PosIndexDim{name}": "" for name in EXTRA},
}
HDF5_BUTTONS: Mapping[str, Any] = {"FlushNow": one_of("Done", "Flush")}
HDF5_READINGS: Mapping[str, Any] = {
    "SWMRActive_RBV": one_of("Off", "Active"),
    "SWMRSupported_RBV": one_of("Not Supported", "Supported", first="Supported"),
    "SWMRCbCounter_RBV": 0,
    "XMLValid_RBV": no_yes("Yes"),
    "XMLErrorMsg_RBV": Long(),
    "RunTime": 0.0,
    "IOSpeed": 0.0,
    **{f"ExtraDimName{name}_RBV": "" for name in EXTRA},
}


class HDF5Records(Records):
    """Records of a plugin that writes files of HDF5."""

    locals().update(
        records(
            {**ARRAY_SETTINGS, **PLUGIN_SETTINGS, **FILE_SETTINGS, **HDF5_SETTINGS},
            {**ARRAY_BUTTONS, **PLUGIN_BUTTONS, **FILE_BUTTONS, **HDF5_BUTTONS},
            {**ARRAY_READINGS, **PLUGIN_READINGS, **FILE_READINGS, **HDF5_READINGS},
        )
    )
