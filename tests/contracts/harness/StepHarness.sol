// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Descriptor} from "../step/lib/Descriptor.sol";
import {Layout, Plan} from "../step/lib/Layout.sol";
import {Merkle} from "../step/lib/Merkle.sol";
import {TensorRoot} from "../step/lib/TensorRoot.sol";

/// @notice The libraries that openings are made of, asked directly.
contract StepHarness {
    function outputRoot(bytes[] calldata headers, bytes[] calldata elements)
        external
        view
        returns (bytes memory)
    {
        return abi.encode(TensorRoot.outputRoot(headers, elements));
    }

    function climb(bytes32 node, uint256 leaves, uint256 index, bytes32[] calldata path)
        external
        view
        returns (bytes memory)
    {
        (bytes32 root, uint256 used) = Merkle.climb(node, leaves, index, path, 0, Merkle.WHOLE);
        return abi.encode(root, used);
    }

    function fold(bytes32[] calldata digests) external view returns (bytes memory) {
        uint256 count = digests.length;
        uint256 pointer;
        assembly ("memory-safe") {
            pointer := add(mload(0x40), 32)
            mstore(0x40, add(pointer, shl(5, add(count, 1))))
            calldatacopy(pointer, digests.offset, shl(5, count))
        }
        return abi.encode(Merkle.fold(pointer, count));
    }

    function plan(bytes calldata descriptor) external pure returns (bytes memory) {
        Plan memory p = Layout.plan(Descriptor.parse(descriptor));
        return abi.encode(p.trees, p.span, p.leaf, p.leaves, p.rowsAreTrees);
    }
}
